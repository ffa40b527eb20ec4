import { command, run } from "../../cli/command";
import type { Model } from "../../contract/plan";
import { type ChangeOptions, changeImage, modelArgument, withChangeOptions } from "./changeImage";
import { previousImage } from "./previousImage";

const program = withChangeOptions(
  command("rollback", "Sets a model's image in a stack's file to the one before. The next `pulumi up` rolls it out."),
)
  .addArgument(modelArgument())
  .addHelpText(
    "after",
    `
The image before is the last different one in git's history of the file. A second rollback returns to the newer image.
Nothing is built. The program takes the old tag from the stack's ECR (pushedTag instead of imageTag), which keeps the last ten
images of a model. An imageUri names the old image itself. The next rollout sets imageTag again.
--propose needs git and gh, and a gh that is signed in.`,
  )
  .action((model: Model, options: ChangeOptions) =>
    changeImage("Roll back", model, options, (current, file) => previousImage(file, model, current)),
  );

void run(program);
