import { buildBundles } from "../../infra/bundle";

// npm runs this after `npm ci`. `pulumi destroy` needs the bundles of the dynamic providers, and it does not run the
// program, which would build them.
buildBundles();
