//! A load client over the library: the command line and the line of JSON of the bench rig that compares
//! clients.

mod alloc;
#[cfg(test)]
mod allocations;
mod args;
mod client;
mod load;
mod machine;
mod report;
mod sink;
mod total;
mod variant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = args::Args::parse(std::env::args().skip(1))?;
    let mut runtime = match args.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let line = runtime.enable_all().build()?.block_on(variant::measure(args))?;
    println!("{line}");
    Ok(())
}
