//! Methods that every service of a layer has.

/// Access to the service inside, as tower's own services give it.
macro_rules! accessors {
    () => {
        /// The service inside.
        pub const fn get_ref(&self) -> &S {
            &self.inner
        }

        /// The service inside, to be changed.
        pub fn get_mut(&mut self) -> &mut S {
            &mut self.inner
        }

        /// The service inside, by itself.
        pub fn into_inner(self) -> S {
            self.inner
        }
    };
}
