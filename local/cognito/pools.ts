import { join } from "node:path";
import type { PoolOptions } from "./oidc";
import { Pool } from "./pool";

/** The pools that were asked for so far. A pool's server starts with the first question to it. */
export class Pools {
  private readonly started = new Map<string, Pool>();

  /** @param shared what all pools have in common; `dir` holds a folder per pool */
  constructor(private readonly shared: Omit<PoolOptions, "poolId">) {}

  /** The pool, which must exist. */
  get(poolId: string): Pool {
    const known = this.started.get(poolId);
    if (known) return known;
    const pool = new Pool({ ...this.shared, poolId, dir: join(this.shared.dir, poolId) });
    this.started.set(poolId, pool);
    return pool;
  }
}
