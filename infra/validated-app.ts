import { App, Validations, type AppProps } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';

/**
 * An app whose synthesis fails, in sentences, for a template that CloudFormation would refuse and for every finding of
 * cdk-nag that is not acknowledged with a reason.
 */
export function validatedApp(props: AppProps = {}): App {
  const app = new App({
    // The same template by the CLI, by `npm run synth` and in tests.
    analyticsReporting: false,
    ...props,
    // Else what is wrong with a template is only a warning.
    postCliContext: { '@aws-cdk/core:validateAgainstDefaultRules': true, ...props.postCliContext },
  });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));
  return app;
}
