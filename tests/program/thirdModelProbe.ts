import { decodeJwt } from "jose";
import { chat } from "../../client";
import { Model } from "../../contract/plan";
import { inTemporaryCloud } from "../../local/cloud/temporaryCloud";
import { modelSessions } from "../../local/visitor/modelSessions";
import { START_STACK, stackNames } from "../../names";

// Script that thirdModel.test.ts runs. It creates the stack in a local cloud and prints the resources of one model as
// JSON.
const model = Model.parse(process.argv[2]);
const names = stackNames(START_STACK);

void inTemporaryCloud({ engine: "scripted", progress: () => {} }, async (cloud, outputs) => {
  const session = await (await modelSessions(model, cloud, outputs))();
  let reply: unknown;
  for await (const item of chat(session, { text: "こんばんは" })) if ("done" in item) reply = item;
  const { account } = cloud.runpod;
  const images = cloud.aws.account.list("docker-build:index:Image").map(({ outputs }) => outputs.buildArgs);
  console.log(
    JSON.stringify({
      session: { plan: session.plan, model: session.model, audience: decodeJwt(session.ticket).aud },
      reply,
      outputs: Object.keys(outputs.inference),
      endpoint: account.endpoints.some(({ name }) => name === names.endpoint(model)),
      template: account.templates.some(({ name }) => name === names.endpoint(model)),
      image: images.some((args) => (args as Record<string, string>).MODEL === model),
    }),
  );
});
