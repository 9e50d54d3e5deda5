//! Random faults on a mixed ring: one after the other, by seed, for a time; then a calm.

use std::io;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Ring, Wish};
use crate::cable::Weather;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// Power cut, and power again.
    Power(usize),
    /// The engine is killed and started again.
    Kill(usize),
    /// The engine is stopped for a while.
    Pause(usize),
    /// One host is cut off from the others.
    Part(usize),
    /// Frames are lost (of a thousand) and delayed (up to so many milliseconds).
    Weather(u32, u32),
}

/// A small generator: the same seed, the same faults.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % sides.max(1)
    }

    fn fault(&mut self) -> Fault {
        let host = 1 + self.roll(3) as usize;
        match self.roll(10) {
            0..2 => Fault::Power(host),
            2..4 => Fault::Kill(host),
            4 => Fault::Pause(host),
            5..7 => Fault::Part(host),
            _ => Fault::Weather(self.roll(200) as u32, self.roll(20) as u32),
        }
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.roll(to - from))
    }
}

pub(super) fn run(ring: &mut Ring<'_>, wish: &Wish) -> Result<(), String> {
    let weather = Arc::new(Weather::default());
    ring.walk.lab.set_weather(Some(weather.clone()));
    ring.begin(100)?;
    let mut dice = Dice(wish.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let begun = Instant::now();
    let mut faults = Vec::new();
    while begun.elapsed() < Duration::from_secs(wish.seconds.div_ceil(2)) {
        let fault = dice.fault();
        faults.push(fault);
        let long = dice.millis(100, 3000);
        let result = happen(ring, &weather, fault, long);
        result.map_err(|error| format!("{fault:?}: {error}"))?;
        sleep(dice.millis(0, 2000));
    }
    ring.see("after the storm", &[1, 2, 3], 3).map_err(|why| format!("{why}\nafter {faults:?}"))?;
    println!(
        "     {} faults, the last ones {:?}",
        faults.len(),
        &faults[faults.len().saturating_sub(4)..]
    );
    Ok(())
}

fn happen(
    ring: &mut Ring<'_>,
    weather: &Weather,
    fault: Fault,
    long: Duration,
) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    let signal = |ring: &Ring<'_>, n: usize, name: &str| {
        // An engine that is just not there cannot be signalled; that is as well.
        let line = format!("kill -{name} $(cat /run/corosync.pid)");
        ring.walk.lab.sh(n, &line).map(|_| ()).map_err(said)
    };
    match fault {
        Fault::Power(n) => {
            ring.switch_off(n)?;
            sleep(long);
            ring.switch_on(n, 0, 1)
        }
        Fault::Kill(n) => {
            signal(ring, n, "KILL")?;
            sleep(long);
            ring.walk.lab.start_engine(n).map_err(said)
        }
        Fault::Pause(n) => {
            signal(ring, n, "STOP")?;
            sleep(long);
            signal(ring, n, "CONT")
        }
        Fault::Part(n) => {
            ring.part(n)?;
            sleep(long);
            ring.merge(n)
        }
        Fault::Weather(loss, delay) => {
            weather.set(loss, Duration::from_millis(delay.into()));
            sleep(long);
            weather.set(0, Duration::ZERO);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_storm() {
        let storm = |seed| {
            let mut dice = Dice(seed);
            (0..200).map(|_| dice.fault()).collect::<Vec<_>>()
        };
        assert_eq!(storm(3), storm(3));
        assert_ne!(storm(3), storm(5));
        let is = |wanted: fn(&Fault) -> bool| storm(3).iter().any(wanted);
        assert!(is(|fault| matches!(fault, Fault::Power(2))));
        assert!(is(|fault| matches!(fault, Fault::Kill(1))));
        assert!(is(|fault| matches!(fault, Fault::Pause(_))));
        assert!(is(|fault| matches!(fault, Fault::Part(3))));
        assert!(is(|fault| matches!(fault, Fault::Weather(..))));
    }
}
