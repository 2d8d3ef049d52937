//! Speed and memory of documents of 1000 and 10 000 resources with full status: `cargo bench -p cib`.
//!
//! Before the measurements it prints the ratios that matter: to Pacemaker's cibadmin on the same file, of the large
//! document to the small one, of memory to the size of the text.

mod generate;
mod ratios;

use std::hint::black_box;
use std::time::Duration;

use cib::{Cib, Element, Operation, Request, apply, digest, patch, schema, xpath};
use criterion::{BatchSize, Criterion};

#[global_allocator]
static COUNTING: ratios::Counting = ratios::Counting;

fn modify(resource: usize, value: usize) -> Request {
    let input = Element::new("nvpair")
        .with_attr("id", format!("rsc-{resource}-params-ip"))
        .with_attr("value", format!("10.9.8.{}", value % 250));
    Request::new(Operation::Modify).input(input)
}

fn measure(criterion: &mut Criterion, resources: usize) {
    let text = generate::cib(resources);
    let document = Cib::parse(&text).expect("what we generate parses");
    let mut group = criterion.benchmark_group(format!("{resources} resources"));
    // Up to a second a piece: ten of them say enough.
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    group.bench_function("parse", |b| b.iter(|| Cib::parse(black_box(&text))));
    group.bench_function("print", |b| b.iter(|| black_box(&document).root().to_xml()));
    group.bench_function("snapshot", |b| b.iter(|| black_box(&document).clone()));
    group.bench_function("validate", |b| b.iter(|| schema::validate(black_box(document.root()))));
    group.bench_function("digest", |b| b.iter(|| digest::content(black_box(document.root()))));
    group.bench_function("xpath by id", |b| {
        b.iter(|| xpath::select(black_box(document.root()), "//nvpair[@id='rsc-7-params-ip']"))
    });
    let mut value = 0;
    let mut current = document.clone();
    group.bench_function("modify by id", |b| {
        b.iter(|| {
            value += 1;
            current = apply(&current, &modify(resources / 2, value)).expect("the resource is there").cib;
        });
    });
    let changed = apply(&document, &modify(resources / 2, 1)).expect("the resource is there").cib;
    group.bench_function("diff of one change", |b| {
        b.iter(|| patch::diff(&document, &changed, patch::Format::Two))
    });
    let change = patch::diff(&document, &changed, patch::Format::Two);
    group.bench_function("patch of one change", |b| {
        b.iter_batched(|| document.clone(), |cib| patch::apply(&cib, &change), BatchSize::SmallInput);
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    if std::env::args().any(|argument| argument == "--bench") {
        ratios::print();
    }
    if std::env::var_os("RATIOS_ONLY").is_none() {
        measure(&mut criterion, 1000);
        measure(&mut criterion, 10_000);
    }
    criterion.final_summary();
}
