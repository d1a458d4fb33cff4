;; A guest in which every misbehaviour is one instruction away: the first byte of its input is a command.
(module
  (memory (export "memory") 4)
  (table $t 4 65536 funcref)
  (data (i32.const 0) "\83\00\f6\80")    ;; a turn that waits
  (data (i32.const 16) "\83\01\01\80")   ;; a turn that is done
  (data (i32.const 32) "not a turn")
  (func $buffer (export "lg_buffer") (param $len i32) (result i32)
    (if (i32.gt_u (local.get $len) (i32.const 65536)) (then (return (i32.const 0))))
    (i32.const 65536))
  (func $at (param $ptr i32) (param $len i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $ptr)) (i64.const 32)) (i64.extend_i32_u (local.get $len))))
  (func $deep (param i32) (result i32)
    (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func $run (param $len i32) (result i64)
    (local $command i32)
    (local.set $command (i32.load8_u (i32.const 65536)))
    (if (i32.eq (local.get $command) (i32.const 0x77)) (then (return (call $at (i32.const 0) (i32.const 4)))))   ;; w: wait
    (if (i32.eq (local.get $command) (i32.const 0x64)) (then (return (call $at (i32.const 16) (i32.const 4)))))  ;; d: done
    (if (i32.eq (local.get $command) (i32.const 0x6c)) (then (loop $for (br $for))))                             ;; l: loop
    (if (i32.eq (local.get $command) (i32.const 0x72)) (then (drop (call $deep (i32.const 0)))))                 ;; r: recurse
    (if (i32.eq (local.get $command) (i32.const 0x74)) (then unreachable))                                       ;; t: trap
    (if (i32.eq (local.get $command) (i32.const 0x6e))                                                           ;; n: not a turn
      (then (return (call $at (i32.const 32) (i32.const 10)))))
    (if (i32.eq (local.get $command) (i32.const 0x6f))                                                           ;; o: out of memory's range
      (then (return (call $at (i32.const 0xfffffff0) (i32.const 0xffff)))))
    (if (i32.eq (local.get $command) (i32.const 0x62))                                                           ;; b: a big turn
      (then
        (drop (memory.grow (i32.const 64)))
        (i32.store (i32.const 262144) (i32.const 0x80f60083))
        (return (call $at (i32.const 262144) (i32.const 4194304)))))
    (if (i32.eq (local.get $command) (i32.const 0x67))                                                           ;; g: grow for ever
      (then (loop $more
        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
        (br $more))))
    (if (i32.eq (local.get $command) (i32.const 0x65))                                                           ;; e: elements for ever
      (then (loop $more
        (if (i32.eq (table.grow $t (ref.null func) (i32.const 16)) (i32.const -1)) (then unreachable))
        (br $more))))
    (if (i32.eq (local.get $command) (i32.const 0x70))                                                           ;; p: patterns everywhere
      (then
        (drop (memory.grow (i32.const 100)))
        (memory.fill (i32.const 64) (i32.const 0xa5) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 64)))
        (return (call $at (i32.const 0) (i32.const 4)))))
    (if (i32.eq (local.get $command) (i32.const 0x66))                                                           ;; f: fill memory for ever
      (then (loop $more
        (memory.fill (i32.const 131072) (i32.const 1) (i32.const 131072))
        (br $more))))
    unreachable)
  (func (export "lg_start") (param i32) (result i64) (call $run (local.get 0)))
  (func (export "lg_resume") (param i32) (result i64) (call $run (local.get 0)))
)
