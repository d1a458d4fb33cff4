//! Frames: what is written is read, and any bytes are read or refused.

use lockgate_cell::protocol::{Event, Frame, FrameError, HEADER_BYTES, MAX_FRAME_BYTES, MAX_PAYLOAD_BYTES, Order};
use lockgate_cell::{Bounds, EndReason, Usage};
use proptest::prelude::*;

fn bounds() -> impl Strategy<Value = Bounds> {
    any::<(u64, u64, u64, u32, u32)>().prop_map(|(cpu_us, wall_us, memory_bytes, table_elements, turn_bytes)| Bounds {
        cpu_us,
        wall_us,
        memory_bytes,
        table_elements,
        turn_bytes,
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    any::<(u64, u64)>().prop_map(|(cpu_us, memory_bytes)| Usage { cpu_us, memory_bytes })
}

fn read_order(bytes: &[u8]) -> Order<'_> {
    let (frame, length) = Frame::first(bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    frame.order().unwrap()
}

fn read_event(bytes: &[u8]) -> Event<'_> {
    let (frame, length) = Frame::first(bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    frame.event().unwrap()
}

proptest! {
    #[test]
    fn n03_orders_are_read_as_written(cell: u32, bounds in bounds(), body: Vec<u8>, name: String, source: String) {
        for order in [
            Order::Start { cell, bounds, start: &body },
            Order::Resume { cell, answers: &body },
            Order::Extend { cell, wall_us: bounds.wall_us },
            Order::Bound { cell, cpu_us: bounds.cpu_us },
            Order::Drop { cell },
            Order::Prepare { id: cell, name: &name, source: &source },
            Order::Ping { id: cell },
        ] {
            let mut bytes = Vec::new();
            order.encode(&mut bytes).unwrap();
            prop_assert_eq!(read_order(&bytes), order);
            for cut in 0..bytes.len() {
                prop_assert_eq!(Frame::first(&bytes[..cut]), Ok(None));
            }
        }
    }

    #[test]
    fn n03_events_are_read_as_written(cell: u32, usage in usage(), body: Vec<u8>, image: [u8; 32]) {
        for event in [
            Event::Hello { version: cell, image },
            Event::Turn { cell, usage, bytes: &body },
            Event::Ended { cell, reason: EndReason::Stack, usage },
            Event::Prepared { id: cell, bytes: &body },
            Event::Pong { id: cell },
        ] {
            let mut bytes = Vec::new();
            event.encode(&mut bytes).unwrap();
            prop_assert_eq!(read_event(&bytes), event);
        }
    }

    #[test]
    fn n03_any_bytes_are_a_frame_or_an_error(bytes: Vec<u8>) {
        if let Ok(Some((frame, length))) = Frame::first(&bytes) {
            prop_assert!(length <= bytes.len());
            let _ = frame.order();
            let _ = frame.event();
        }
    }

    #[test]
    fn n03_any_payload_of_any_kind_is_read_or_refused(kind: u8, number: u32, payload: Vec<u8>) {
        let mut bytes = (5 + payload.len() as u32).to_le_bytes().to_vec();
        bytes.push(kind);
        bytes.extend(number.to_le_bytes());
        bytes.extend(&payload);
        let (frame, _) = Frame::first(&bytes).unwrap().unwrap();
        if let Ok(order) = frame.order() {
            let mut again = Vec::new();
            order.encode(&mut again).unwrap();
            prop_assert_eq!(&again, &bytes);
        }
        if let Ok(event) = frame.event() {
            let mut again = Vec::new();
            event.encode(&mut again).unwrap();
            prop_assert_eq!(&again, &bytes);
        }
    }
}

#[test]
fn n05_announced_lengths_are_bounded() {
    let too_long = (MAX_FRAME_BYTES as u32 + 1).to_le_bytes();
    assert_eq!(Frame::first(&too_long), Err(FrameError::Length(MAX_FRAME_BYTES as u32 + 1)));
    assert_eq!(Frame::first(&4u32.to_le_bytes()), Err(FrameError::Length(4)));
    assert_eq!(Frame::first(&(MAX_FRAME_BYTES as u32).to_le_bytes()), Ok(None));
}

#[test]
fn n05_payloads_too_large_to_send_are_refused_before_anything_is_written() {
    let huge = vec![0; MAX_PAYLOAD_BYTES + 1];
    let mut out = vec![1, 2, 3];
    let refused = Order::Resume { cell: 1, answers: &huge }.encode(&mut out);
    assert_eq!(refused, Err(FrameError::TooLarge(MAX_PAYLOAD_BYTES + 1)));
    assert_eq!(out, [1, 2, 3]);
    Order::Resume { cell: 1, answers: &huge[1..] }.encode(&mut out).unwrap();
    assert_eq!(out.len(), 3 + HEADER_BYTES + MAX_PAYLOAD_BYTES);
}

#[test]
fn n03_a_worker_cannot_speak_as_a_gate_nor_end_a_cell_as_lost() {
    let mut bytes = Vec::new();
    Order::Ping { id: 1 }.encode(&mut bytes).unwrap();
    assert_eq!(Frame::first(&bytes).unwrap().unwrap().0.event(), Err(FrameError::Kind(5)));
    let mut bytes = Vec::new();
    Event::Ended { cell: 1, reason: EndReason::WorkerLost, usage: Usage::default() }.encode(&mut bytes).unwrap();
    assert_eq!(Frame::first(&bytes).unwrap().unwrap().0.event(), Err(FrameError::Payload(67)));
}
