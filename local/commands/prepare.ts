import { buildBundles } from "../../infra/bundle";

// npm runs this file after `npm ci`. `pulumi up` runs the program, which builds the bundles of the dynamic providers.
// `pulumi destroy` also needs these bundles, but does not run the program.
buildBundles();
