const XML = { "content-type": "text/xml" };
const NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/";

/** Response of an operation in SNS's Query protocol. `result` is XML. */
export function queryResponse(operation: string, result: string): Response {
  const body = `<${operation}Result>${result}</${operation}Result>`;
  return new Response(`<${operation}Response xmlns="${NAMESPACE}">${body}</${operation}Response>`, { headers: XML });
}

/** Error response in SNS's Query protocol. */
export function queryError(status: number, code: string, message: string): Response {
  const body = `<Type>Sender</Type><Code>${code}</Code><Message>${escapeXml(message)}</Message>`;
  return new Response(`<ErrorResponse xmlns="${NAMESPACE}"><Error>${body}</Error></ErrorResponse>`, {
    status,
    headers: XML,
  });
}

/** Text for the content of an XML element. */
export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
