/// Chained setters, each named like the field that it sets: `name(argument: Type) = value;`.
macro_rules! setters {
    ($( $(#[$documentation:meta])* $field:ident($argument:ident: $type:ty) = $value:expr; )*) => { $(
        $(#[$documentation])*
        #[must_use]
        pub fn $field(mut self, $argument: $type) -> Self {
            self.$field = $value;
            self
        }
    )* };
}

pub(crate) use setters;
