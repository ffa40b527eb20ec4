import { join } from "node:path";
import ts from "typescript";

/** An API answer and its SDK type, such as `Stripe.Customer`. */
export interface TypedAnswer {
  call: string;
  type: string;
  answer: unknown;
}

/**
 * Compares answers with the SDK's types, which Stripe generates from its OpenAPI document. Each answer is compiled as a
 * literal of its type, so an extra, missing or wrong field is an error.
 *
 * @returns the compiler's errors, each with its call
 */
export function checkShapes(answers: TypedAnswer[]): string[] {
  const file = join(process.cwd(), "tests/local/stripe/answers.virtual.ts");
  const lines = answers.map(({ type, answer }, index) => `export const answer${index}: ${type} = ${literal(answer)};`);
  const text = ['import type Stripe from "stripe"; declare const decimal: Stripe.Decimal;', ...lines].join("\n");
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    types: ["node"],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.readFile = (name) => (name === file ? text : readFile(name));
  host.getSourceFile = (name, ...rest) =>
    name === file ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2023) : getSourceFile(name, ...rest);
  const program = ts.createProgram([file], options, host);
  const source = program.getSourceFile(file);
  if (!source) throw new Error("TypeScript did not load the file with the answers.");
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  return found.map(({ start = 0, messageText }) => {
    const { line } = source.getLineAndCharacterOfPosition(start);
    const at = text.slice(start, start + 40).replaceAll("\n", " ");
    return `${answers[line - 1]?.call ?? "import"}: ${ts.flattenDiagnosticMessageText(messageText, " ")} (at ${at})`;
  });
}

/**
 * Converts an answer to a TypeScript literal. Decimals are text in JSON, but instances of a class in the SDK's types.
 */
function literal(answer: unknown): string {
  return JSON.stringify(answer).replaceAll(/("\w+_decimal"):"-?[\d.]+"/g, "$1:decimal");
}
