import { join } from "node:path";
import type { PoolOptions } from "./oidc";
import { Pool } from "./pool";

/** The pools used so far. A pool's server starts with the first request. */
export class Pools {
  private readonly started = new Map<string, Pool>();

  /** @param shared options of all pools; `dir` contains a folder per pool */
  constructor(private readonly shared: Omit<PoolOptions, "poolId">) {}

  /** Returns the pool, which must exist. */
  get(poolId: string): Pool {
    const known = this.started.get(poolId);
    if (known) return known;
    const pool = new Pool({ ...this.shared, poolId, dir: join(this.shared.dir, poolId) });
    this.started.set(poolId, pool);
    return pool;
  }

  /** Closes the files of all pools. */
  close(): void {
    for (const pool of this.started.values()) pool.close();
  }
}
