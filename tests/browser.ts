import { missingBrowser } from "../verify/browser";
import { needs } from "./needs";

export { launchBrowser } from "../verify/browser";

/** Options of a test group that runs in a browser. */
export const needsBrowser = needs(missingBrowser);
