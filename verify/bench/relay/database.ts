import type { AddressInfo } from "node:net";
import dynalite from "dynalite";

// DynamoDB in memory, in a separate process. Sends `{url}` to the parent process, and exits when the parent exits.
const server = dynalite({ createTableMs: 0 });
server.listen(0, "127.0.0.1", () => {
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
process.once("disconnect", () => process.exit());
