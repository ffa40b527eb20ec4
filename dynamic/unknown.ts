/**
 * What stands for a value not known yet during preview. Pulumi's own constant (`pulumi.runtime.unknownValue`), repeated
 * because the provider's bundle must not carry the whole SDK.
 */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
