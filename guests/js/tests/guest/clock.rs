//! Time and randomness are the host's.

use serde_json::json;

use crate::support::*;

#[test]
fn n23_the_clock_stands_still_within_a_turn() {
    let source = "const a = [Date.now(), performance.now()]; for (let i = 0; i < 2e5; i++); [a, [Date.now(), performance.now()], +new Date(), performance.timeOrigin]";
    let now = NOW as i64;
    assert_eq!(eval(source), json!([[now, 0], [now, 0], now, now]));
}

#[test]
fn n23_the_clock_moves_when_an_answer_comes() {
    let source = "(async () => { const seen = [Date.now(), performance.now()]; await lockgate.clock.sleep(5); seen.push(Date.now(), performance.now()); return seen })()";
    let start = Start::new(0, source).grant("clock", "clock", json!(null));
    let turn = Cell::new().run(&start, |now, _| {
        *now += 1234.5;
        Ok(json!(null).into())
    });
    let now = NOW as i64;
    assert_eq!(turn.done(), json!([now, 0, now + 1234, 1234.5]));
}

#[test]
fn n23_the_same_seed_gives_the_same_randomness() {
    let source = "[Math.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint8Array(8))], Math.random()]";
    let run = |seed: u8| {
        let mut start = Start::new(0, source);
        start.seed = [seed; 32];
        std::thread::spawn(move || Cell::new().start(&start).done()).join().unwrap()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let first = run(3);
    assert_ne!(first[0], first[3]);
}

#[test]
fn n23_timers_fire_in_the_order_of_their_deadlines_on_one_sleep_each() {
    let source = "(async () => { const seen = []; const t0 = Date.now();
        await new Promise((done) => {
            setTimeout(() => { seen.push('c', Date.now() - t0); done() }, 30);
            setTimeout((x) => { seen.push('a' + x, Date.now() - t0); Promise.resolve().then(() => seen.push('job of a')) }, 10, 1);
            setTimeout(() => seen.push('b', Date.now() - t0), 10);
            const never = setTimeout(() => seen.push('never'), 5); clearTimeout(never);
        }); return seen })()";
    let start = Start::new(0, source).grant("clock", "clock", json!(null));
    let mut sleeps = Vec::new();
    let turn = Cell::new().run(&start, |now, request| {
        assert_eq!(request.op, "sleep");
        let ms = request.args.json()["ms"].as_f64().unwrap();
        sleeps.push(ms);
        *now = (NOW + sleeps.iter().copied().fold(0.0, f64::max)).max(*now);
        Ok(json!(null).into())
    });
    let done = turn.done();
    let order: Vec<_> = done.as_array().unwrap().iter().filter_map(|v| v.as_str()).collect();
    assert_eq!(order, ["a1", "job of a", "b", "c"], "{done} {sleeps:?}");
}

#[test]
fn n23_timers_fire_though_the_clock_is_frozen() {
    let source = "(async () => { let n = 0; await new Promise((done) => { const id = setInterval(() => { if (++n === 3) { clearInterval(id); done() } }, 50) }); return [n, Date.now()] })()";
    let start = Start::new(0, source).grant("clock", "clock", json!(null));
    let mut asked = 0;
    let turn = Cell::new().run(&start, |_, _| {
        asked += 1;
        Ok(json!(null).into())
    });
    assert_eq!(turn.done(), json!([3, NOW as i64]));
    assert_eq!(asked, 3);
}

#[test]
fn n23_dates_are_in_utc() {
    assert_eq!(
        eval("[new Date(0).getTimezoneOffset(), new Date(2020, 0, 1).toISOString()]"),
        json!([0, "2020-01-01T00:00:00.000Z"])
    );
}
