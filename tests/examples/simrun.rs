fn main() {
    if std::env::var("HOOK").is_err() {
        std::panic::set_hook(Box::new(|i| {
            if !i.to_string().contains("src/oracle") && !i.to_string().contains("src/worlds") {
                eprintln!("{i}")
            }
        }));
    }
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "seed" {
        println!(
            "{}",
            sfbulk_tests::simulation::play(args[2].parse().unwrap())
                .unwrap_or_else(|why| {
                    println!("{why}");
                    Default::default()
                })
                .len()
        );
        return;
    }
    let t = std::time::Instant::now();
    let p = sfbulk_tests::simulation::play_all(
        args[1].parse().unwrap()..args[2].parse().unwrap(),
        false,
    );
    println!("{}", p.report());
    let mut whys = std::collections::BTreeMap::<String, (u64, u64)>::new();
    for (s, w) in &p.failures {
        let l: String = w
            .lines()
            .next()
            .unwrap()
            .chars()
            .map(|c| if c.is_ascii_digit() { '#' } else { c })
            .take(70)
            .collect();
        let e = whys.entry(l).or_insert((0, *s));
        e.0 += 1;
    }
    for (w, (n, s)) in whys {
        println!("{n:6} first {s:6} {w}");
    }
    println!("{:?}", t.elapsed());
}
