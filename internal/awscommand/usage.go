package awscommand

// Usage is the help text.
const Usage = `kubecred-aws: credentials of AWS for Kubernetes

usage:
  kubecred-aws token --cluster-name NAME [flags]
  kubecred-aws get-credentials [flags]
  kubecred-aws version

  token    prints an ExecCredential with a token for an EKS cluster, in the
           version that the client asks for. It takes the flags of
           'aws eks get-token' and of 'aws-iam-authenticator token'; also
           'kubecred-aws eks get-token ...' means the same.

  get-credentials
           answers the kubelet, as an image credential provider, for registries
           of Amazon ECR and no others: reads a CredentialProviderRequest on
           stdin, prints a CredentialProviderResponse

flags of token:
      --cluster-name NAME   the cluster
  -i, --cluster-id ID       the cluster's id, on Outposts, or its name
      --region REGION       AWS region; else AWS_REGION, or the profile's
  -e, --external-id ID      external id that the role wants
      --forward-session-name
                            assume the role with the session name one has now
      --token-only          print the token alone

flags of both:
      --profile NAME        profile of the AWS config files; else AWS_PROFILE
  -r, --role-arn ARN        role to assume (also --role); again for a chain
  -s, --session-name NAME   name of the role's session

flags of get-credentials:
      --identity WHO        who asks ECR: pod (with the service account's token),
                            node, or pod-then-node, which says so when it falls
                            back; pod where the kubelet sends a token, else node
      --host HOST=REGISTRY  a host of your own that stands for a registry of ECR,
                            such as a pull-through proxy; may be given again
`
