import children from "node:child_process";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";

function refuse(what: string): never {
  throw new Error(`A unit test must not ${what}. Remove this file from the list unitTests in vitest.config.mts.`);
}

net.Server.prototype.listen = () => refuse("start a server");
const starters = ["spawn", "spawnSync", "exec", "execSync", "execFile", "execFileSync", "fork"];
Object.assign(children, Object.fromEntries(starters.map((name) => [name, () => refuse("start a process")])));
syncBuiltinESMExports();
