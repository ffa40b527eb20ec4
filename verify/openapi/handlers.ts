import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { type ErrorCode, errorCodes } from "../../contract/errors";

/** Everything that a handler can answer, read from its source. */
export interface HandlerAnswers {
  codes: Set<ErrorCode>;
  /** Statuses that appear as numbers in the code. */
  statuses: Set<number>;
  /** Types of the JSON bodies with status 200. */
  bodies: ts.Type[];
}

/** A function from which the walk reaches everything that a handler calls. */
export interface Root {
  file: string;
  name: string;
}

/** Sources that replace files on the disk, by path from the repository's root. */
export type Overlay = Record<string, string>;

/**
 * Reads the sources of handlers with TypeScript's type checker.
 *
 * @param root the repository's folder
 * @param overlay sources that replace or add files
 */
export class Handlers {
  readonly checker: ts.TypeChecker;
  private readonly program: ts.Program;

  constructor(
    private readonly root: string,
    files: string[],
    overlay: Overlay = {},
  ) {
    this.program = createProgram(root, files, overlay);
    this.checker = this.program.getTypeChecker();
  }

  /** Source file by its path from the repository's root. */
  source(file: string): ts.SourceFile {
    const source = this.program.getSourceFile(join(this.root, file));
    if (!source) throw new Error(`${file} does not exist`);
    return source;
  }

  /**
   * Collects the answers of all code that the roots reach. The walk reaches a method of an object when reached code
   * uses the same property of the object's type.
   *
   * @param except functions that the walk does not enter
   */
  answersOf(roots: Root[], except: string[] = []): HandlerAnswers {
    const walk: Walk = {
      ...{ codes: new Set(), statuses: new Set(), bodies: [] },
      ...{ pending: [], used: new Set(), methods: [], except: new Set(except) },
    };
    const seen = new Set<ts.Node>();
    walk.pending.push(...roots.map((one) => this.declarationOf(one)));
    for (;;) {
      const next = walk.pending.pop() ?? this.takeUsedMethod(walk);
      if (!next) return walk;
      if (seen.has(next)) continue;
      seen.add(next);
      ts.forEachChild(next, (child) => this.visit(child, walk));
    }
  }

  private declarationOf({ file, name }: Root): ts.Node {
    const source = this.source(file);
    const found = source.statements.find(
      (statement) => ts.isFunctionDeclaration(statement) && statement.name?.text === name,
    );
    if (!found) throw new Error(`${file} has no function ${name}: correct its name in verify/openapi/drift.ts`);
    return found;
  }

  private visit(node: ts.Node, walk: Walk): void {
    // A type calls nothing. A declared function counts only when reached code uses its name.
    if (ts.isTypeNode(node) || ts.isFunctionDeclaration(node) || isNamedFunction(node)) return;
    if (this.isOwnMethod(node)) {
      walk.methods.push(node);
      return;
    }
    if (isInstanceOf(node)) {
      this.visit(node.left, walk);
      return;
    }
    for (const declaration of this.usedProperty(node)) walk.used.add(declaration);
    if (ts.isIdentifier(node) && !walk.except.has(node.text)) walk.pending.push(...this.ownDeclarations(node));
    this.readError(node, walk);
    this.readStatus(node, walk);
    ts.forEachChild(node, (child) => this.visit(child, walk));
  }

  /**
   * Whether a node is a method that only our own code calls. A library can call every method of an object that it gets.
   */
  private isOwnMethod(node: ts.Node): node is Method {
    const isMethod = ts.isMethodDeclaration(node) || (ts.isPropertyAssignment(node) && isFunction(node.initializer));
    if (!isMethod || !ts.isObjectLiteralExpression(node.parent)) return false;
    return this.wantedProperty(node).every((declaration) => isOwn(declaration.getSourceFile()));
  }

  /**
   * Declarations of the property that a method implements. They come from the type that the surrounding code expects.
   * Without such a type, the method itself is the declaration.
   */
  private wantedProperty(method: Method): ts.Node[] {
    const object = method.parent as ts.ObjectLiteralExpression;
    const wanted = this.checker.getContextualType(object)?.getProperty(method.name.getText());
    return wanted?.declarations ?? [method];
  }

  /** Declarations of the property that `object.name` or `{ name } = object` uses. */
  private usedProperty(node: ts.Node): ts.Node[] {
    if (ts.isPropertyAccessExpression(node)) return this.checker.getSymbolAtLocation(node.name)?.declarations ?? [];
    if (!ts.isBindingElement(node)) return [];
    const object = this.checker.getTypeAtLocation(node.parent);
    return object.getProperty((node.propertyName ?? node.name).getText())?.declarations ?? [];
  }

  /** Takes a method that reached code uses out of `methods`. */
  private takeUsedMethod({ methods, used }: Walk): ts.Node | undefined {
    const index = methods.findIndex((method) =>
      this.wantedProperty(method).some((declaration) => used.has(declaration)),
    );
    return index === -1 ? undefined : methods.splice(index, 1)[0];
  }

  /** Reads `new ApiError(code)`, and `super(code)` of a subclass. Adds all values that the type of `code` allows. */
  private readError(node: ts.Node, { codes }: Walk): void {
    const isNew = ts.isNewExpression(node) && node.expression.getText() === "ApiError";
    const isSuper = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.SuperKeyword;
    const code = isNew || isSuper ? node.arguments?.[0] : undefined;
    for (const value of code ? this.literals(code) : []) {
      if (typeof value === "string" && value in errorCodes) codes.add(value as ErrorCode);
    }
  }

  /** Reads `statusCode: 200`, and calls that pass a number for a parameter `status` or `statusCode`. */
  private readStatus(node: ts.Node, { statuses, bodies }: Walk): void {
    if (ts.isPropertyAssignment(node) && node.name.getText() === "statusCode")
      addNumbers(statuses, this.literals(node.initializer));
    if (!ts.isCallExpression(node)) return;
    const parameters = this.checker.getResolvedSignature(node)?.getParameters() ?? [];
    const index = parameters.findIndex(({ name }) => name === "status" || name === "statusCode");
    const argument = index === -1 ? undefined : node.arguments[index];
    if (!argument) return;
    const numbers = this.literals(argument);
    addNumbers(statuses, numbers);
    const body = parameters.findIndex(({ name }) => name === "body");
    const value = node.arguments[body];
    if (numbers.includes(200) && value) bodies.push(this.awaited(this.checker.getTypeAtLocation(value)));
  }

  /** Literal values of an expression's type. */
  private literals(node: ts.Expression): unknown[] {
    const type = this.checker.getTypeAtLocation(node);
    return (type.isUnion() ? type.types : [type]).flatMap((one) => (one.isLiteral() ? [one.value] : []));
  }

  /** Type of the body that the function passes to `jsonHandler`. Undefined when the file has no such call. */
  jsonBody(file: string): ts.Type | undefined {
    let found: ts.Type | undefined;
    const visit = (node: ts.Node): void => {
      if (ts.isCallExpression(node) && node.expression.getText() === "jsonHandler" && node.arguments[0]) {
        const [signature] = this.checker.getTypeAtLocation(node.arguments[0]).getCallSignatures();
        if (signature) found = this.awaited(signature.getReturnType());
      }
      ts.forEachChild(node, visit);
    };
    visit(this.source(file));
    return found;
  }

  private awaited(type: ts.Type): ts.Type {
    return this.checker.getAwaitedType(type) ?? type;
  }

  /** Declarations of a name, with their code. Ignores declarations outside `functions/` and `contract/`. */
  private ownDeclarations(node: ts.Identifier): ts.Node[] {
    const symbol = this.checker.getSymbolAtLocation(node);
    if (!symbol) return [];
    const target = symbol.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(symbol) : symbol;
    return (target.declarations ?? []).filter(
      (one) =>
        isOwn(one.getSourceFile()) &&
        (ts.isFunctionLike(one) || ts.isClassDeclaration(one) || ts.isVariableDeclaration(one)),
    );
  }
}

type Method = ts.MethodDeclaration | ts.PropertyAssignment;

/** State of one walk through the code. */
interface Walk extends HandlerAnswers {
  pending: ts.Node[];
  except: Set<string>;
  /** Declarations of the properties that reached code uses. */
  used: Set<ts.Node>;
  /** Methods of reached objects that no reached code has used yet. */
  methods: Method[];
}

function isOwn({ fileName }: ts.SourceFile): boolean {
  return /\/(functions|contract)\//.test(fileName) && !fileName.includes("/node_modules/");
}

function isFunction(node: ts.Node | undefined): boolean {
  return node !== undefined && (ts.isArrowFunction(node) || ts.isFunctionExpression(node));
}

function isNamedFunction(node: ts.Node): boolean {
  return ts.isVariableDeclaration(node) && isFunction(node.initializer);
}

function isInstanceOf(node: ts.Node): node is ts.BinaryExpression {
  return ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword;
}

/**
 * Parses files of the repository and everything that they import.
 *
 * @param root the repository's folder
 * @param overlay sources that replace or add files
 */
export function createProgram(root: string, files: string[], overlay: Overlay): ts.Program {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    skipLibCheck: true,
    esModuleInterop: true,
    resolveJsonModule: true,
    noEmit: true,
    types: ["node", "aws-lambda"],
    // The generated types write `name?: T` where the contract has `name?: T | undefined`.
    exactOptionalPropertyTypes: false,
  };
  const host = withOverlay(ts.createCompilerHost(options), root, overlay);
  return ts.createProgram(
    files.map((file) => join(root, file)),
    options,
    host,
  );
}

function addNumbers(statuses: Set<number>, values: unknown[]): void {
  for (const value of values) if (typeof value === "number") statuses.add(value);
}

function withOverlay(host: ts.CompilerHost, root: string, overlay: Overlay): ts.CompilerHost {
  const texts = new Map(Object.entries(overlay).map(([file, text]) => [join(root, file), text]));
  const { fileExists, getSourceFile } = host;
  return {
    ...host,
    fileExists: (file) => texts.has(file) || fileExists(file),
    readFile: (file) => texts.get(file) ?? readFileSync(file, "utf8"),
    getSourceFile: (file, options, ...rest) => {
      const text = texts.get(file);
      return text === undefined
        ? getSourceFile(file, options, ...rest)
        : ts.createSourceFile(file, text, options, true);
    },
  };
}
