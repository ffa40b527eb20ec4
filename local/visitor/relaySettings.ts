import {
  GetFunctionConfigurationCommand,
  LambdaClient,
  UpdateFunctionConfigurationCommand,
} from "@aws-sdk/client-lambda";
import type { VipProvider } from "../../contract/relay";
import { START_STACK, stackNames } from "../../names";
import { localCredentials } from "../cloud/awsEndpoints";
import type { LocalCloud } from "../cloud/cloud";

/** Sets the order of the external LLMs, as an operator does in Lambda's console. */
export async function setVipProviders({ aws }: LocalCloud, providers: VipProvider[]): Promise<void> {
  const lambda = new LambdaClient({
    endpoint: aws.endpoints.lambda,
    region: aws.account.region,
    credentials: localCredentials,
  });
  const FunctionName = stackNames(START_STACK).functions.relay;
  const { Environment } = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }));
  const Variables = { ...Environment?.Variables, VIP_PROVIDERS: providers.join(",") };
  await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName, Environment: { Variables } }));
}
