/** DynamoDB's HTTP protocol over LevelDB. */
declare module "dynalite" {
  import type { Server } from "node:http";

  /** @param options `path`: the LevelDB folder; the three times: how long a table stays in that state, in milliseconds */
  export default function dynalite(options: {
    path?: string;
    createTableMs?: number;
    deleteTableMs?: number;
    updateTableMs?: number;
  }): Server;
}
