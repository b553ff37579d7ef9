/**
 * The reason of a build that ended because its control plane did: nothing was wrong with it, so its deployment may
 * build again.
 */
export const interruptedReason = 'The control plane was restarted while the build ran';
