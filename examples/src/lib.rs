//! One runnable program per task: see the folder `examples`.
