/** The reason of a build that was ended at its time limit, in either cloud. */
export function tooLongReason({ timeoutSeconds }: { readonly timeoutSeconds: number }): string {
  if (timeoutSeconds < 120) return `The build took longer than its limit of ${timeoutSeconds} s`;
  return `The build took longer than its limit of ${Math.round(timeoutSeconds / 6) / 10} minutes`;
}
