import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import type { JSONWebKeySet } from "jose";
import type Provider from "oidc-provider";
import { OidcStore } from "./adapter";
import { PoolKeys } from "./keys";
import { createProvider, type PoolOptions } from "./oidc";

/**
 * One user pool. A certified OIDC server implements the protocol (codes, PKCE, sessions, refresh, revocation). This
 * class converts the server's answers to the form of Cognito.
 */
export class Pool {
  readonly provider: Provider;
  private readonly keys: PoolKeys;
  private readonly store: OidcStore;
  private readonly answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>;

  constructor(options: PoolOptions) {
    this.keys = new PoolKeys(join(options.dir, "keys.json"));
    this.store = new OidcStore(
      join(options.dir, "oidc.db"),
      (clientId) => options.directory.client(clientId)?.rotationGraceSeconds ?? 0,
    );
    this.provider = createProvider(options, this.keys, this.store);
    this.answer = this.provider.callback();
  }

  /** The public keys. */
  get jwks(): JSONWebKeySet {
    return this.keys.public;
  }

  /** Answers a request to one of the OAuth endpoints. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await this.answer(request, response);
  }

  /** Ends the browser's session and removes its cookie. As with Cognito's `/logout`, refresh tokens stay valid. */
  async endSession(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = await this.provider.Session.get(this.provider.createContext(request, response));
    await session.destroy();
  }

  /** Closes the file of sessions and tokens. */
  close(): void {
    this.store.close();
  }
}
