/**
 * Credentials for the AWS SDK in Lambda, which always come from environment variables. The bundler replaces the SDK's
 * chain of credential sources with this module, because the chain is a third of every bundle's size.
 */
export { fromEnv as defaultProvider } from "@aws-sdk/credential-provider-env";
