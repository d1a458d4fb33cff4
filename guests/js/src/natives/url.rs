//! URLs by the WHATWG rules, through the `url` crate. A URL is its href: each call parses it anew and keeps no state.

use url::{Url, form_urlencoded, quirks};

use crate::engine::{Args, Js, Kind, Value};

/// (input, base or undefined) gives the href, or `undefined` if it is no URL.
pub fn parse(args: &Args) -> Js<Value> {
    let input = args.text(0)?;
    let base = match args.get(1).kind() {
        Kind::Text => match Url::parse(&args.text(1)?) {
            Ok(base) => Some(base),
            Err(_) => return Ok(args.ctx.undefined()),
        },
        _ => None,
    };
    match Url::options().base_url(base.as_ref()).parse(&input) {
        Ok(url) => args.ctx.text(url.as_str()),
        Err(_) => Ok(args.ctx.undefined()),
    }
}

/// (href, part) gives that part's text; `undefined` for a part that does not exist.
pub fn part(args: &Args) -> Js<Value> {
    let Ok(url) = Url::parse(&args.text(0)?) else { return Ok(args.ctx.undefined()) };
    let part = args.text(1)?;
    let text = match part.as_str() {
        "origin" => &quirks::origin(&url),
        "protocol" => quirks::protocol(&url),
        "username" => quirks::username(&url),
        "password" => quirks::password(&url),
        "host" => quirks::host(&url),
        "hostname" => quirks::hostname(&url),
        "port" => quirks::port(&url),
        "pathname" => quirks::pathname(&url),
        "search" => quirks::search(&url),
        "hash" => quirks::hash(&url),
        _ => return Ok(args.ctx.undefined()),
    };
    args.ctx.text(text)
}

/// (href, part, text) gives the href with that part set; the same href where the part cannot take the text.
pub fn set(args: &Args) -> Js<Value> {
    let href = args.text(0)?;
    let Ok(mut url) = Url::parse(&href) else { return args.ctx.text(&href) };
    let (part, text) = (args.text(1)?, args.text(2)?);
    // What a setter refuses it leaves as it was, which is what the standard asks.
    let _ = match part.as_str() {
        "protocol" => quirks::set_protocol(&mut url, &text),
        "username" => quirks::set_username(&mut url, &text),
        "password" => quirks::set_password(&mut url, &text),
        "host" => quirks::set_host(&mut url, &text),
        "hostname" => quirks::set_hostname(&mut url, &text),
        "port" => quirks::set_port(&mut url, &text),
        "pathname" => {
            quirks::set_pathname(&mut url, &text);
            Ok(())
        }
        "search" => {
            quirks::set_search(&mut url, &text);
            Ok(())
        }
        "hash" => {
            quirks::set_hash(&mut url, &text);
            Ok(())
        }
        _ => Err(()),
    };
    args.ctx.text(url.as_str())
}

/// A query string gives a flat array: name, value, name, value…
pub fn form_parse(args: &Args) -> Js<Value> {
    let query = args.text(0)?;
    let mut flat = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        flat.push(args.ctx.text(&name)?);
        flat.push(args.ctx.text(&value)?);
    }
    args.ctx.array(flat)
}

/// The inverse of [`form_parse`].
pub fn form_serialize(args: &Args) -> Js<Value> {
    let flat = args.get(0);
    let length = flat.get_named("length")?.as_number().unwrap_or(0.0) as u32;
    let mut form = form_urlencoded::Serializer::new(String::new());
    for index in (0..length).step_by(2) {
        form.append_pair(&flat.get_index(index)?.to_text()?, &flat.get_index(index + 1)?.to_text()?);
    }
    args.ctx.text(&form.finish())
}
