//go:build unix

package lab

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Plant starts stand-ins that may read pods, as their owners meant them to, and
// returns when all of them run. What has a Kind gets the workload, whose pods
// Kubernetes' own controllers make and replace; the lab plays their nodes.
func (l *Lab) Plant(ctx context.Context, standIns []StandIn) ([]*Workload, error) {
	var users []string
	for _, s := range standIns {
		users = append(users, "system:serviceaccount:"+s.Namespace+":"+s.Account)
	}
	if err := l.Grant(ctx, Reader, users...); err != nil {
		return nil, err
	}
	host, err := once(l, "host", func() (*host, error) { return l.startHost(ctx) })
	if err != nil {
		return nil, err
	}
	planted := map[string]*crew{}
	for _, s := range standIns {
		if s.Kind == "" {
			continue
		}
		name := s.Namespace + "/" + s.Account
		c := planted[name]
		if c == nil {
			c = &crew{started: make(chan *Workload, len(standIns))}
			planted[name] = c
		}
		c.first = append(c.first, s)
	}
	for name, c := range planted {
		pods := c.first
		c.then = pods[0]
		host.expect(name, c)
		if err := l.plantWorkload(ctx, pods); err != nil {
			return nil, fmt.Errorf("lab: workload %s: %w", name, err)
		}
	}
	var programs []*Workload
	for _, s := range standIns {
		var p *Workload
		if s.Kind == "" {
			if p, err = l.Run(ctx, s); err != nil {
				return programs, err
			}
		} else if p, err = planted[s.Namespace+"/"+s.Account].next(ctx, s); err != nil {
			return programs, err
		}
		programs = append(programs, p)
	}
	return programs, nil
}

// hosted is the label of the pods whose nodes the lab plays. Its value is the
// workload's name.
const hosted = "lab.kubecred/workload"

// plantWorkload makes the workload of which the stand-ins are the pods.
func (l *Lab) plantWorkload(ctx context.Context, pods []StandIn) error {
	s := pods[0]
	if err := l.account(ctx, s.Namespace, s.Account); err != nil {
		return err
	}
	// The node objects that a DaemonSet's pods are for bear its name.
	chosen := map[string]string{"lab.kubecred/" + s.Account: ""}
	for _, p := range pods {
		if p.Node == "" {
			return fmt.Errorf("a stand-in of kind %s needs a Node", s.Kind)
		}
		if err := l.namedNode(ctx, p.Node); err != nil {
			return err
		}
		if s.Kind == "DaemonSet" {
			if err := l.labelNode(ctx, p.Node, chosen); err != nil {
				return err
			}
		}
	}
	meta := metav1.ObjectMeta{Name: s.Account, Namespace: s.Namespace, Labels: map[string]string{"app": s.Account}}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": s.Account}}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": s.Account, hosted: s.Account}},
		Spec: corev1.PodSpec{
			ServiceAccountName: s.Account,
			Containers:         []corev1.Container{{Name: "main", Image: s.Image}},
		},
	}
	apps, batch := l.Admin.AppsV1(), l.Admin.BatchV1()
	replicas := ptr.To(int32(len(pods)))
	switch s.Kind {
	case "Deployment":
		_, err := apps.Deployments(s.Namespace).Create(ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: replicas, Selector: selector, Template: template}}, metav1.CreateOptions{})
		return err
	case "StatefulSet":
		_, err := apps.StatefulSets(s.Namespace).Create(ctx, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: replicas, Selector: selector, Template: template}}, metav1.CreateOptions{})
		return err
	case "DaemonSet":
		template.Spec.NodeSelector = chosen
		// A node object that no kubelet has reported on is tainted.
		template.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		_, err := apps.DaemonSets(s.Namespace).Create(ctx, &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}}, metav1.CreateOptions{})
		return err
	case "CronJob":
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
		job := batchv1.JobSpec{Template: template}
		cron, err := batch.CronJobs(s.Namespace).Create(ctx, &batchv1.CronJob{ObjectMeta: meta, Spec: batchv1.CronJobSpec{
			Schedule: "10 4 * * *", Suspend: ptr.To(true), // so that the one run stays the only one
			JobTemplate: batchv1.JobTemplateSpec{Spec: job},
		}}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		// Runs are named after their minute (pkg/controller/cronjob/utils.go).
		_, err = batch.Jobs(s.Namespace).Create(ctx, &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{
				Name:            fmt.Sprintf("%s-%d", s.Account, time.Now().Unix()/60),
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
			},
			Spec: job,
		}, metav1.CreateOptions{})
		return err
	}
	return fmt.Errorf("a stand-in of kind %q", s.Kind)
}
