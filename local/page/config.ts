/** What the page must know of the program that was evaluated: its outputs, served as `/config.json`. */
export interface PageConfig {
  /** Base of the auth and billing API. */
  apiUrl: string;
  auth: {
    /** The hosted domain. */
    url: string;
    clientId: string;
    redirectUri: string;
    logoutUri: string;
    scopes: string[];
  };
  stack: string;
  /** True when there is no Python worker: every reply is the same canned text. */
  canned: boolean;
}
