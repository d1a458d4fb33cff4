//! What the handles of a cell put on its global object. What most programs are granted is ready since
//! pre-initialisation and is only put in place here; the rest is made by the guest's JavaScript.

use minicbor::decode::{Decoder, Error};

use crate::engine::{Atom, HIDDEN, Js, PLAIN, Thrown, Value};
use crate::guest::Guest;
use crate::value;

/// Values and names that are ready.
pub struct Ready {
    global: Value,
    lockgate: Value,
    signal: Value,
    console: Named,
    fetch: Named,
    timers: Vec<Named>,
    timeout: Named,
    clock: Named,
}

struct Named {
    key: Atom,
    value: Value,
}

impl Ready {
    /// Takes them from the kit of the guest's JavaScript.
    pub fn of(kit: &Value) -> Js<Ready> {
        let ctx = kit.ctx();
        let grants = kit.get_named("grants")?;
        let named = |name: &str| Ok(Named { key: ctx.atom(name)?, value: grants.get_named(name)? });
        let timers = ["setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval", "clearImmediate"];
        Ok(Ready {
            global: ctx.global(),
            lockgate: kit.get_named("lockgate")?,
            signal: kit.get_named("AbortSignal")?,
            console: named("console")?,
            fetch: named("fetch")?,
            timers: timers.into_iter().map(named).collect::<Js<_>>()?,
            timeout: named("timeout")?,
            clock: named("clock")?,
        })
    }
}

impl Named {
    fn put_on(&self, object: &Value, flags: i32) -> Js<()> {
        object.define(&self.key, self.value.clone(), flags)
    }
}

/// Why handles could not be installed.
pub enum Refused {
    /// The message is malformed.
    Malformed,
    /// An exception is pending.
    Thrown,
}

impl From<Error> for Refused {
    fn from(_: Error) -> Self {
        Refused::Malformed
    }
}

impl From<Thrown> for Refused {
    fn from(_: Thrown) -> Self {
        Refused::Thrown
    }
}

/// Reads the handles, at which `input` stands, and installs what they grant.
pub fn install(guest: &Guest, input: &mut Decoder) -> Result<(), Refused> {
    let count = input.array()?.ok_or(Refused::Malformed)?;
    if count == 0 {
        return Ok(());
    }
    let (ctx, hooks) = (guest.ctx, guest.hooks()?);
    let ready = &hooks.ready;
    for _ in 0..count {
        input.array()?;
        let (handle, kind, name) = (input.u32()?, input.str()?, input.str()?);
        match kind {
            "log" => {
                guest.log.set(Some(handle));
                ready.console.put_on(&ready.global, HIDDEN)?;
                input.skip()?;
            }
            "http" => {
                guest.http.set(Some(handle));
                ready.fetch.put_on(&ready.global, HIDDEN)?;
                input.skip()?;
            }
            "clock" => {
                guest.clock.set(Some(handle));
                put_clock(ready)?;
                input.skip()?;
            }
            _ => {
                let detail = value::decode(ctx, input)?;
                let args = [ctx.number(handle.into()), ctx.text(kind)?, ctx.text(name)?, detail];
                hooks.install.call(&ctx.undefined(), &args)?;
            }
        }
    }
    Ok(())
}

fn put_clock(ready: &Ready) -> Js<()> {
    for timer in &ready.timers {
        timer.put_on(&ready.global, HIDDEN)?;
    }
    ready.timeout.put_on(&ready.signal, HIDDEN)?;
    ready.clock.put_on(&ready.lockgate, PLAIN)
}
