import { buildBundles } from "../../infra/bundle";

// npm runs this after `npm ci`: `pulumi destroy` needs the providers' code and runs no program that would build it.
buildBundles();
