import { messageOf } from '../functions/runtime/errors.ts';
import { costTable, idleCost } from '../infra/cost.ts';
import { stackTemplate } from './stack-template.ts';

/** `npm run cost [stage]`: prints what an installation costs while nothing happens, as docs/aws.md has it. */
try {
  console.log(costTable(idleCost(await stackTemplate(process.argv[2]))));
} catch (error) {
  console.error(`The cost was not computed: ${messageOf(error)}`);
  process.exitCode = 1;
}
