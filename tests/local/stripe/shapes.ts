import { join } from "node:path";
import ts from "typescript";

/** An answer of the API, and the SDK's type for it, such as `Stripe.Customer`. */
export interface TypedAnswer {
  call: string;
  type: string;
  answer: unknown;
}

/**
 * Holds answers against the SDK's types, which Stripe generates from its OpenAPI document: each is written into a program
 * as a literal of its type and compiled, so that a field too many, too few or of another kind is an error.
 *
 * @returns the compiler's complaints, each with the call it is about
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
  if (!source) throw new Error("The compiler did not take the answers.");
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  return found.map(({ start = 0, messageText }) => {
    const { line } = source.getLineAndCharacterOfPosition(start);
    const at = text.slice(start, start + 40).replaceAll("\n", " ");
    return `${answers[line - 1]?.call ?? "import"}: ${ts.flattenDiagnosticMessageText(messageText, " ")} (at ${at})`;
  });
}

/** The SDK has a class for decimals, which are text in JSON. */
function literal(answer: unknown): string {
  return JSON.stringify(answer).replaceAll(/("\w+_decimal"):"-?[\d.]+"/g, "$1:decimal");
}
