#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Builds and runs the C tests, and ends with one line that counts their checks as cargo counts tests.
# Usage: run.sh LIBRARY_DIR [VARIANT...], where libmargay.so is in LIBRARY_DIR, and VARIANT is one of
#   headers     every public header compiles alone, in each language that it is written for
#   plain       every program, built by plain cc
#   sanitized   every program under AddressSanitizer and UndefinedBehaviorSanitizer
# All of them without a VARIANT. What the compiler lacks is skipped, by name, and counts as ignored.
set -eu

here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
library=$(CDPATH='' cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- headers plain sanitized
include=$(CDPATH='' cd "$here/../../include" && pwd)
cc=${CC:-cc}
flags="-std=c11 -g -O1 -Wall -Wextra -Wpedantic -Werror"
out=$(mktemp -d)
log=$out/log
: >"$log"
trap 'rm -rf "$out"' EXIT

# What a command says is shown and counted. A command that fails without a failed check counts as one.
counted() { # name, command...
    name=$1
    shift
    status=0
    "$@" >"$out/said" 2>&1 || status=$?
    cat "$out/said"
    cat "$out/said" >>"$log"
    if [ $status -ne 0 ] && ! grep -q '^\(# [a-z]*: \)\{0,1\}not ok ' "$out/said"; then
        echo "not ok 0 - $name ended with status $status" | tee -a "$log"
    fi
}

programs() { # label, extra compiler flags
    for program in layout calls sockets unix peer demikernel_style; do
        echo "# $program, $1"
        rm -f "$out/$program"
        # The flags are lists of words.
        # shellcheck disable=SC2086
        counted "the build of $program, $1" "$cc" $flags $2 -I "$include" "$here/$program.c" -L "$library" -lmargay \
            -pthread -Wl,-rpath,"$library" -o "$out/$program"
        [ ! -x "$out/$program" ] || counted "$program, $1" "$out/$program"
    done
}

has_sanitizer() {
    echo 'int main(void) { return 0; }' | "$cc" -x c "-fsanitize=$1" - -o "$out/probe" 2>"$out/said" && "$out/probe"
}

# The one that was named, whatever the caller's own path has.
export LD_LIBRARY_PATH="$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
for variant in "$@"; do
    case $variant in
    headers) counted headers "$here/headers.sh" "$include" ;;
    plain) programs plain "" ;;
    sanitized)
        found=
        for sanitizer in address undefined; do
            if has_sanitizer $sanitizer; then
                found=${found:+$found,}$sanitizer
            else
                echo "skipped - the C tests under the $sanitizer sanitizer: $cc does not have it" | tee -a "$log"
            fi
        done
        [ -z "$found" ] || programs "$found" "-fsanitize=$found -fno-sanitize-recover=all -fno-omit-frame-pointer"
        ;;
    *)
        echo "run.sh: no variant is called $variant: name some of headers, plain, sanitized" >&2
        exit 2
        ;;
    esac
done

awk '
    /^(# [a-z]+: )?ok [0-9]+ / { passed++ }
    /^(# [a-z]+: )?not ok [0-9]+ / { failed++ }
    /^skipped - / { ignored++ }
    END {
        bad = failed > 0 || passed + ignored == 0
        printf "test result: %s. %d passed; %d failed; %d ignored; 0 measured; 0 filtered out\n", \
            bad ? "FAILED" : "ok", passed, failed, ignored
        exit bad
    }
' "$log"
