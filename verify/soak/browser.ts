import { type Client, createClient } from "../../client";
import { type Credentials, signInByForm, signUpByForm } from "../../local/visitor/hostedSignIn";
import type { Started } from "./cloud";

/** A customer's browser. Its tabs share the storage and communicate through `BroadcastChannel`. */
export class Browser {
  /** The open tabs. At least one. */
  tabs: Client[];
  private readonly id = crypto.randomUUID();
  private readonly storage = new Map<string, string>();
  private readonly redirectUri: string;
  private readonly channels: BroadcastChannel[] = [];

  constructor(private readonly started: Started) {
    this.redirectUri = `${started.pageUrl}/callback`;
    this.tabs = [this.openTab()];
  }

  get tab(): Client {
    const [first] = this.tabs;
    if (!first) throw new Error("The browser has no tab");
    return first;
  }

  /** Closes all tabs and opens new tabs. The new tabs know only the stored data. */
  reload(tabs = this.tabs.length): void {
    this.close();
    this.tabs = Array.from({ length: tabs }, () => this.openTab());
  }

  /** Closes the tabs' connections to each other. */
  close(): void {
    for (const channel of this.channels.splice(0)) channel.close();
  }

  async signIn(who: Credentials): Promise<void> {
    const { tab, redirectUri } = this;
    await tab.finishSignIn(await signInByForm(await tab.startSignIn(), redirectUri, who));
  }

  /** @param readCode returns the code of Cognito's e-mail */
  async signUp(who: Credentials, readCode: () => Promise<string>): Promise<void> {
    const { tab, redirectUri } = this;
    await tab.finishSignIn(await signUpByForm(await tab.startSignIn({ signUp: true }), redirectUri, who, readCode));
  }

  /** Signs out at the client and ends the hosted session. */
  async signOut(): Promise<void> {
    const response = await fetch(await this.tab.signOut(), { redirect: "manual" });
    await response.body?.cancel();
  }

  private openTab(): Client {
    const { storage, channels, started, id } = this;
    const own = globalThis.BroadcastChannel;
    // All browsers of a run are in one process. A separate channel name per browser keeps their messages apart.
    globalThis.BroadcastChannel = class extends own {
      constructor(channel: string) {
        super(`${channel} ${id}`);
        channels.push(this);
      }
    };
    try {
      return createClient({
        apiUrl: started.apiUrl,
        ...started.signIn,
        redirectUri: this.redirectUri,
        logoutUri: `${started.pageUrl}/`,
        storage: {
          getItem: (key) => storage.get(key) ?? null,
          setItem: (key, value) => void storage.set(key, value),
          removeItem: (key) => void storage.delete(key),
        },
      });
    } finally {
      globalThis.BroadcastChannel = own;
    }
  }
}
