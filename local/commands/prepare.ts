import { buildBundles } from "../../infra/bundle";

// npm runs this file after `npm ci`. `pulumi destroy` needs the bundles of the dynamic providers. It cannot build them,
// because it does not run the program.
buildBundles();
