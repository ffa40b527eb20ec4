import { command, run } from "../../cli/command";
import type { Model } from "../../contract/plan";
import { type ChangeOptions, changeImage, modelArgument, withChangeOptions } from "./changeImage";
import { previousImage } from "./previousImage";

const program = withChangeOptions(
  command(
    "rollback",
    "Sets a model's image in a stack's file to the previous image. The next `pulumi up` rolls it out.",
  ),
)
  .addArgument(modelArgument())
  .addHelpText(
    "after",
    `
The previous image is the newest different image in the git history of the file. A second rollback returns to the newer
image.
The program takes the old tag from the stack's ECR, which keeps every tagged image, and builds nothing (pushedTag instead of
imageTag). An imageUri names the old image itself. From an imageUri back to a tag, the program builds that tag again, and this
command names the sources that you must get back first. The same is true for model.json of a model with weights: cached.
The next rollout sets imageTag again.
--propose needs git and gh, and a gh that is signed in.`,
  )
  .action((model: Model, options: ChangeOptions) =>
    changeImage("Roll back", model, options, (current, file) => previousImage(file, model, current)),
  );

void run(program);
