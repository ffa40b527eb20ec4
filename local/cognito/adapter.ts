import type { Adapter, AdapterPayload } from "oidc-provider";
import { StateStore } from "../support/stateStore";

/** A stored session, interaction, grant, code or token. `expiresAt` is in milliseconds since the epoch. */
interface Entry {
  model: string;
  payload: AdapterPayload;
  expiresAt?: number;
}

/** State of one pool's OIDC server in one file, so that sessions and refresh tokens survive a restart. */
export class OidcStore {
  private readonly store: StateStore<{ entries: Record<string, Entry> }>;
  private readonly entries: Record<string, Entry>;

  /**
   * @param graceSeconds returns the seconds for which a client's refresh token stays valid after its rotation. Default
   * 0
   */
  constructor(
    path: string,
    private readonly graceSeconds: (clientId: string) => number = () => 0,
  ) {
    this.store = new StateStore(path, { entries: {} });
    this.entries = this.store.data.entries;
  }

  /** Returns the adapter of one model, such as `RefreshToken`, in oidc-provider's interface. */
  adapter(model: string): Adapter {
    const key = (id: string) => `${model}:${id}`;
    return {
      upsert: async (id, payload, expiresInSeconds) => {
        const expiry = expiresInSeconds === undefined ? {} : { expiresAt: Date.now() + expiresInSeconds * 1000 };
        this.entries[key(id)] = { model, payload, ...expiry };
        this.save(key(id));
      },
      find: async (id) => this.live(key(id))?.payload,
      findByUid: async (uid) => this.findBy(model, (payload) => payload.uid === uid),
      findByUserCode: async (code) => this.findBy(model, (payload) => payload.userCode === code),
      consume: async (id) => {
        const entry = this.live(key(id));
        if (!entry) return;
        if (model === "RefreshToken") this.rotateOut(entry);
        else entry.payload.consumed = Math.floor(Date.now() / 1000);
        this.save(key(id));
      },
      destroy: async (id) => {
        delete this.entries[key(id)];
        this.save(key(id));
      },
      revokeByGrantId: async (grantId) => {
        this.remove((entry) => entry.model === model && entry.payload.grantId === grantId);
      },
    };
  }

  /**
   * Ends a rotated refresh token after the grace period. Does not mark it as `consumed`, because oidc-provider revokes
   * the whole sign-in when a client uses a marked token.
   */
  private rotateOut(entry: Entry): void {
    const graceEndsAt = Date.now() + this.graceSeconds(String(entry.payload.clientId)) * 1000;
    entry.expiresAt = Math.min(entry.expiresAt ?? graceEndsAt, graceEndsAt);
  }

  close(): void {
    this.store.close();
  }

  private live(key: string): Entry | undefined {
    const entry = this.entries[key];
    return entry && !isExpired(entry) ? entry : undefined;
  }

  private findBy(model: string, matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined {
    return Object.values(this.entries).find(
      (entry) => entry.model === model && !isExpired(entry) && matches(entry.payload),
    )?.payload;
  }

  private remove(matches: (entry: Entry) => boolean): void {
    for (const [key, entry] of Object.entries(this.entries)) {
      if (!matches(entry)) continue;
      delete this.entries[key];
      this.store.save("entries", key);
    }
  }

  private save(key: string): void {
    this.remove(isExpired);
    this.store.save("entries", key);
  }
}

function isExpired(entry: Entry): boolean {
  return entry.expiresAt !== undefined && entry.expiresAt <= Date.now();
}
