declare module 'asl-validator' {
  /** Checks a state machine definition. https://github.com/ChristopheBougere/asl-validator */
  export default function validate(definition: unknown): { isValid: boolean; errors: readonly unknown[] };
}
