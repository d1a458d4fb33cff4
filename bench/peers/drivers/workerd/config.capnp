# One parent worker with a loader of dynamic workers. Addresses are given on the command line by the driver.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "parent", worker = .parent),
    (name = "audit", external = (address = "127.0.0.1:0", http = ())),
  ],
  sockets = [ (name = "http", address = "127.0.0.1:0", http = (), service = "parent") ],
);

const parent :Workerd.Worker = (
  modules = [ (name = "parent.mjs", esModule = embed "parent.mjs") ],
  compatibilityDate = "2026-11-01",
  compatibilityFlags = ["experimental"],
  bindings = [
    (name = "LOADER", workerLoader = ()),
    (name = "AUDIT", service = "audit"),
  ],
);
