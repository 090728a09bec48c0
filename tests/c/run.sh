#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Builds and runs every C test: the headers alone, then each program with plain cc, then each again under AddressSanitizer
# and UndefinedBehaviorSanitizer. A sanitizer that the compiler does not have is skipped, by name.
# Usage: run.sh LIBRARY_DIR (where libmargay.so is) [INCLUDE_DIR]
set -eu

here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
library=$(CDPATH='' cd "$1" && pwd)
include=$(CDPATH='' cd "${2:-$here/../../include}" && pwd)
cc=${CC:-cc}
flags="-std=c11 -g -O1 -Wall -Wextra -Wpedantic -Werror"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

"$here/headers.sh" "$include"

run_all() { # label, extra compiler flags
    for test in layout calls peer; do
        echo "# $test, $1"
        "$cc" $flags $2 -I "$include" "$here/$test.c" -L "$library" -lmargay -pthread -Wl,-rpath,"$library" \
            -o "$out/$test"
        # The library is not instrumented, and a fini() with memory in use is one of the tests.
        ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "$out/$test"
    done
}

run_all "plain" ""
for sanitizer in address undefined; do
    if echo 'int main(void) { return 0; }' | "$cc" -x c -fsanitize=$sanitizer - -o "$out/probe" 2>/dev/null &&
        "$out/probe"; then
        run_all "$sanitizer sanitizer" "-fsanitize=$sanitizer -fno-sanitize-recover=all -fno-omit-frame-pointer"
    else
        echo "skipped - the $sanitizer sanitizer: $cc does not have it"
    fi
done
echo "all C tests passed"
