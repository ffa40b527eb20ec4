/**
 * Credentials for the AWS SDK in Lambda, where they always come from environment variables. The bundler replaces the SDK's
 * chain of credential sources with this module: the chain is a third of every bundle.
 */
export { fromEnv as defaultProvider } from "@aws-sdk/credential-provider-env";
