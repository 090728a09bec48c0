// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes a test of each function of a suite for each back end.

/// `suite! { { area: test ..; .. } on name = BACKEND; .. }`: `area::test` is a function of a [`Subject`](crate::subject::Subject), and
/// `BACKEND` a constant of `backends`, which may have conditions (`#[cfg(..)]`).
macro_rules! suite {
    ($suite:tt on $($(#[$when:meta])* $name:ident = $backend:ident;)*) => {
        $($(#[$when])* mod $name {
            suite!(@areas $backend $suite);
        })*
    };
    (@areas $backend:ident { $($area:ident: $($test:ident)*;)* }) => {
        $(mod $area {
            $(#[test]
            fn $test() {
                fn here() {}
                let name = core::any::type_name_of_val(&here);
                if let Some(subject) = crate::subject::Subject::new(&crate::backends::$backend, name) {
                    crate::$area::$test(&subject);
                }
            })*
        })*
    };
}
