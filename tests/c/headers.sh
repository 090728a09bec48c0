#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Compiles every public header alone, twice included, as C99, C11 and C++17 with all warnings as errors.
# Usage: headers.sh [INCLUDE_DIR]; CC and CXX name the compilers. C++ is skipped, by name, where there is none.
set -eu

include=${1:-$(dirname "$0")/../../include}
cc=${CC:-cc}
cxx=${CXX:-c++}
warnings="-Wall -Wextra -Wpedantic -Werror -fsyntax-only"
count=0

check() { # compiler, language, standard, header
    printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$4" "$4" |
        "$1" -x "$2" -std="$3" $warnings -I "$include" -
    count=$((count + 1))
    echo "ok $count - $4 as $3"
}

for header in demi/cc.h demi/types.h demi/sga.h demi/wait.h demi/libos.h margay.h; do
    check "$cc" c c99 "$header"
    check "$cc" c c11 "$header"
    if command -v "$cxx" >/dev/null 2>&1; then
        check "$cxx" c++ c++17 "$header"
    else
        echo "skipped - $header as c++17: no $cxx"
    fi
done
echo "$count passed"
