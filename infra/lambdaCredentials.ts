/**
 * In Lambda, credentials come from the environment and from nowhere else. The bundler puts this module in place of the
 * AWS SDK's chain of credential sources, which is a third of every bundle and is never reached there.
 */
export { fromEnv as defaultProvider } from "@aws-sdk/credential-provider-env";
