import { buildClientModule } from "../../client/build/module";
import { buildClientTypes } from "../../client/build/types";
import { buildBundles } from "../../infra/bundle";

// npm runs this file after `npm ci`, and before it packs the client. `pulumi up` runs the program, which builds the
// bundles of the dynamic providers. `pulumi destroy` also needs these bundles, but does not run the program.
buildBundles();
// The local page also needs this module: its types come from the client's package.
buildClientModule();
buildClientTypes();
