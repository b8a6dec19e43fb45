//! The start plans of one image: its pods and the host's services.

use coracle_layout::paths;
use coracle_pods::Pod;
use coracle_recipe::Recipe;
use coracle_rollout::Time;
use coracle_rollout::settings::Gate;
use coracle_runtime::plan::Plan;

use super::{Work, count, inputs};
use crate::Error;
use crate::embedded::Embedded;
use crate::plan::{self, services};

/// The plans of one image, with the pods they came from.
pub struct Plans {
    pub services: Vec<Plan>,
    pub pods: Vec<(Pod, Plan)>,
}

impl Plans {
    pub fn of(work: &Work<'_>, images: &[Embedded], inputs: &inputs::Inputs) -> Result<Self, Error> {
        let plans = Self { services: services(&work.recipe, inputs)?, pods: pods(work, images)? };
        plans.gates(&work.recipe)?;
        Ok(plans)
    }

    pub fn describe(&self) -> String {
        format!("{}, {}", count(self.pods.len(), "pod"), count(self.services.len(), "service"))
    }

    /// Every pod that a new system has to have running is there.
    fn gates(&self, recipe: &Recipe) -> Result<(), Error> {
        let health = recipe.update.as_ref().map(|update| update.settings(Time::from_unix(0)).health);
        let names = || self.pods.iter().map(|(pod, _)| pod.name.as_str());
        for gate in health.iter().flat_map(|health| &health.gates) {
            if let Gate::Container(pod) = gate
                && !names().any(|name| name == pod)
            {
                let known = names().map(str::to_owned).collect();
                return Err(Error::GatePod { pod: pod.clone(), known });
            }
        }
        Ok(())
    }
}

fn pods(work: &Work<'_>, images: &[Embedded]) -> Result<Vec<(Pod, Plan)>, Error> {
    let recipe = &work.recipe;
    if recipe.pods.len() > paths::MAX_PLANS {
        return Err(Error::Pods { count: recipe.pods.len() });
    }
    let mut pods: Vec<(Pod, Plan)> = Vec::new();
    for (path, index) in recipe.pods.iter().zip(0..) {
        let pod = inputs::pod(&work.request.recipe, path.as_path())?;
        let reference = &pod.container.image;
        let Some(image) = images.iter().find(|image| image.reference == *reference) else {
            let known = images.iter().map(|image| image.reference.clone()).collect();
            let pod = pod.name.as_str().to_owned();
            return Err(Error::PodImage { pod, reference: reference.clone(), known });
        };
        if pods.iter().any(|(other, _)| other.name == pod.name) {
            return Err(Error::PodTwice { name: pod.name.as_str().to_owned() });
        }
        let plan = plan::of(&pod, image, index)?;
        pods.push((pod, plan));
    }
    Ok(pods)
}

fn services(recipe: &Recipe, inputs: &inputs::Inputs) -> Result<Vec<Plan>, Error> {
    type Service = fn(&str) -> Result<Plan, coracle_runtime::Error>;
    let netd = inputs.netd.iter().map(|_| ("netd", services::netd as Service));
    let both = [("fetch", services::fetch as Service), ("updater", services::updater as Service)];
    let update = inputs.update.iter().flat_map(|_| both);
    let plan = |(name, plan): (&str, Service)| {
        plan(recipe.name.as_str()).map_err(|source| Error::Plan { name: name.to_owned(), source })
    };
    netd.chain(update).map(plan).collect()
}
