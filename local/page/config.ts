/** The evaluated program's outputs for the page, served as `/config.json`. */
export interface PageConfig {
  /** Base URL of the auth/billing API. */
  apiUrl: string;
  relayUrl: string;
  /** URL of each model's job API. */
  inference: Record<string, string>;
  auth: {
    /** Origin of Cognito's hosted domain. */
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
